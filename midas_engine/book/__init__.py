"""The book: promoted features as one signal, with weights shrunk for selection, netted turnover and honest intervals.

`stats.book` is the paper book of one feature; this is the book of all of them.
"""
