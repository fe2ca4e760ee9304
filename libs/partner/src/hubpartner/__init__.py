"""What a partner agency, an auditor or an operator runs: a typed client and the `hubctl`
command."""
