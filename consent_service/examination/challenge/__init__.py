"""What a person reads aloud to consent: a sentence in their language, that nobody could have recorded before."""
