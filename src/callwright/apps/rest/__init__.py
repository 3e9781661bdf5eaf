"""REST applications: pages asked for over HTTP, their actions run on a call (docs/reference/rest-applications.md)."""
