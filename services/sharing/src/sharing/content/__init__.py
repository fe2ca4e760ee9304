"""What a recipient sees of a case, made in one place for previews and deliveries."""
