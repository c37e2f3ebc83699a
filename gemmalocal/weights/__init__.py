"""In: a model's name. Out: a folder of weights, a tokenizer and a config, that every backend loads."""
