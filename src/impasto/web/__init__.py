"""The page: a server for one person, on their own machine. The extra `web`.

A request passes `auth`, which admits only its owner, and goes to `routes`. `storage` keeps pictures and finished work;
`queue` holds the jobs, and `worker` paints them one at a time, whether a page is open or not. A job is a `WebTask`,
made from a `requests.Order`. `page/` holds the page itself: plain files, served as they are.
"""
