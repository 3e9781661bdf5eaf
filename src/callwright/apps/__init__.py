"""What an application instance does: REST applications, page by page."""
