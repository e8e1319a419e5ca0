//! Policy, client and route joined: from facts to a verdict.
