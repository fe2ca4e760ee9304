"""The production topology (Kafka with SASL and ACLs, PostgreSQL, one process per service) without
containers or root."""
