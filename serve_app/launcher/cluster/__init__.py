"""A Ray cluster of several machines: how a node of it is started, what is checked on its nodes before a system goes
there, and how the launcher's settings reach its replicas.

May import `configuration` and `processes` of the launcher, and `app_status`, `banner`, `console`, `dashboard_client`,
`ray_token`.
"""
