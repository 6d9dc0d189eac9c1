"""Executors: many pictures painted in this process, by a pool of processes, or on a Ray cluster; one interface.

`executors.task`         one picture to paint, as plain data
`executors.base`         the interface: tasks in, events and outcomes out, a bounded number at a time
`executors.inline`       in this process
`executors.pool`         by workers that may die; `executors.processes` and `executors.ray_cluster` are kinds of workers
"""
