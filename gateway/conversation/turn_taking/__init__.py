"""Who speaks next, and why: the response slot, the user, and the rules that choose what to ask the model for.

    slot          the one response of a conversation: idle, asked for, or active; its transitions are a table
    user          what the user is doing: silent, speaking, holding a button, or waiting for an answer; also a table
    rules         the ordered list of what the gateway may ask for, each with its reason
    late_results  when the user is told a result: how it is brought up, and from when on
    scheduler     applies events to both machines, and says which results a response has told
    filler        the words of fillers and questions

docs/turn-taking.md prints the tables and the rules from here.
"""
