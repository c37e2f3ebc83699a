"""In: a base model's folder and a run's result. Out: folders and files for other programs."""
