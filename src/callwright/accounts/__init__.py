"""Who may do what: accounts, their services and their secrets (docs/reference/accounts.md)."""
