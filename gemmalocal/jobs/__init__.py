"""What a job directory is: its files, its process, what it says, and why it ended."""
