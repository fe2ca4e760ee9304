"""What the audit service does: take records in, and answer auditors."""
