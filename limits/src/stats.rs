//! Numbers out: how full the tables are and what that has led to.

/// How full a limiter is, and what happened since it was made. Counters only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Cells in use: clients times rules, including those that equal a fresh one and were not dropped yet.
    pub held: usize,
    /// How many there is room for: at least the capacity asked for.
    pub capacity: usize,
    /// Cells dropped because they equalled a fresh one. Nobody can tell, so nothing is lost.
    pub evicted_fresh: u64,
    /// Charges to a cell that newcomers share because the table was full.
    pub overflow_uses: u64,
    /// Charges refused, or reported in observe mode, because not even such a cell was to be had.
    pub denied_table_full: u64,
    /// Clients times rules with requests in flight.
    pub in_flight_held: usize,
    /// How many there is room for: at most the capacity asked for.
    pub in_flight_capacity: usize,
    /// Charges refused, or reported in observe mode, because that room was taken.
    pub denied_in_flight_full: u64,
}

/// What the tables weigh. Memory is reserved at the start and becomes resident only as cells are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sizes {
    /// The table of rates, everything included, in bytes.
    pub table_bytes: usize,
    /// That, for each client and rule of the capacity asked for, in bytes, rounded up.
    pub bytes_per_client: usize,
    /// The table of requests in flight, in bytes.
    pub in_flight_bytes: usize,
}
