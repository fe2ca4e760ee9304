"""Words, states and rules of a referral: no framework, no storage, no clock of its own."""
