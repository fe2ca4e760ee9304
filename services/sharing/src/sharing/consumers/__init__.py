"""What sharing does without being asked: take events in, and release what may leave."""
