"""The audit log for auditors: questions, answers, and entries verified here."""
