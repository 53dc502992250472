"""Voices: enrolment, statements, review, designed voices."""
