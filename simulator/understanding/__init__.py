"""Understands sentences without a scenario: what is said is matched to the tools that the session offers.

    dialogue       follows a talk: calls, open questions, a yes or a no
    understanding  matches a sentence to a tool, fills its parameters, asks for what is missing
    offered        the tools as their schemas tell of them
    values         finds the value of one parameter in a sentence; dates: days and times
    spoken         numbers and ids as they are spoken
    wording        results, abilities and questions as sentences

All of it decides, and does no I/O.
"""
