"""Who may call: API keys from a file, what each may ask for and how much of it.

Off unless FATHOM_API_KEYS_FILE names a file. One guard stands below all faces, which know nothing of it; a route that
its table lacks is not reachable while keys are asked for. May import the core and `serve_app.http.problems`.
"""
