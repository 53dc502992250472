"""The disclosure in the forms that are not C2PA: the label in the file, headers, a signed token, texts for people."""
