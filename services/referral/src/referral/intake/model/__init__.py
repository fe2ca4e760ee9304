"""The forms, the facts they hold, and refused intakes: no framework, no storage."""
