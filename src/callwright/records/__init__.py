"""What happened and what it cost: the ledger of ADRs, CDRs, FDRs and error records (docs/reference/records.md)."""
