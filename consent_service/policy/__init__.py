"""The rules alone, pure functions: may this claim be allowed under this consent?

decide      the decision and the reason of each refusal
purposes    the known purposes and which covers which
terms       the terms of a consent, checked once
narrowing   less of any axis, never more
languages   the ten
limits      how often a caller may fail or be refused
"""
