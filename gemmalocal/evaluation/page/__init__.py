"""The page of a report: what it says (content), as Markdown and as one HTML file."""
