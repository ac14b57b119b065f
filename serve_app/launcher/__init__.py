"""The launcher behind `make serve`, `check`, `deploy`, `add`, `remove` and `status`: starts Ray and watches over it.

A program of its own beside the HTTP door, in its own processes. It may import the core and, of the door, only
`serve_app.http.problems`; the door never imports it. Entered through `serve_app.launch`, and by the door through a
process of `door_change`.

    commands, serve_command   one function for each command    supervisor        waits, stops, reports while it runs
    door_change               a change for the HTTP door       model_changes     one model more or less, for both
    child_main                the process that holds Ray       deaths, pulse     which parts have died, which hang
    dashboard_client          the running system, over REST    app_status        its report, in words
    run_record                what runs here, and one at once  machine_checks    what would keep Ray from starting
    configuration/            YAML and environment variables   fork_server/      workers that start quickly
    proxy/, processes/, banner, console, ray_token
"""
