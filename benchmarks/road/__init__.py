"""The whole road, latency and CPU, beside a bare chain of as many hops and the sum of its
unavoidable parts."""
