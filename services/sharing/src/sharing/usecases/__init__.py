"""One function per thing this service does. They plan and call the repository; none of them
commits."""
