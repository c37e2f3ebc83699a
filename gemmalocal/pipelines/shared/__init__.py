"""What several kinds of job share; no file here is a kind of job."""
