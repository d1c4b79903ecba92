"""What the page at `/` may do with a stack that `ringback up` owns: talk without a token, and kill processes.

    stack_control  in `ringback up`: mints client secrets, tells what happened to processes and calls, kills
    control_route  in the gateway that it started: `POST /demo`, for pages of this machine alone

Only `ringback up` adds the route, so no other gateway has it.
"""
