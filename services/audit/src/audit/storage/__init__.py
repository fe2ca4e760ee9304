"""The log's tables and files, and the adapters that fulfil the ports over them."""
