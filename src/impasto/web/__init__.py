"""The page: a server for one person, on their own machine. The extra `web`.

A request comes in through `guard`, which lets nobody else in, to `routes`. Pictures and finished work lie in `storage`;
`studio` paints what is in the queue, one piece at a time, whether a page is open or not. What is asked for is an
`orders.Order`; how far it is, a `tasks.Task`. `page/` is the page itself: plain files, served as they are.
"""
