"""The audit service's HTTP routes: a public log, and an auditor's questions."""

from audit.api import entries, index, log, questions

ROUTERS = (log.router, questions.router, entries.router, index.router)
