"""The page: a server for one person, on their own machine. The extra `web`.

A request comes in through `auth`, which lets nobody else in, to `routes`. Pictures and finished work lie in `storage`;
`queue` holds the jobs, and `worker` paints them, one at a time, whether a page is open or not. What is asked for is a
`requests.Order`; how far it is, a `job.Task`. `page/` is the page itself: plain files, served as they are.
"""
