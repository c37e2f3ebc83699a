"""What a person writes: recipes and preparations, as YAML."""
