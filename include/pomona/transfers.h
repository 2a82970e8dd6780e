#pragma once

#include <cstdint>

#include "pomona/durations.h"

namespace pomona {

// What a storage that is not this machine was asked for.
struct TransferCounts {
  int64_t listings = 0;  // requests that listed files; repeated ones are not in it
  int64_t requests = 0;  // of files' content; repeated ones count again
  int64_t retries = 0;   // requests of any kind that were repeated
  int64_t bytes = 0;
  double seconds = 0;  // spent in requests, summed over those that ran at once

  // From asking for an answer to its first and its last byte, of requests of any kind. Repeated ones
  // count again, and those that nobody answered are not in it.
  Durations first_byte;
  Durations whole;

  TransferCounts& operator+=(const TransferCounts& other) {
    listings += other.listings;
    requests += other.requests;
    retries += other.retries;
    bytes += other.bytes;
    seconds += other.seconds;
    first_byte += other.first_byte;
    whole += other.whole;
    return *this;
  }
  TransferCounts& operator-=(const TransferCounts& other) {
    listings -= other.listings;
    requests -= other.requests;
    retries -= other.retries;
    bytes -= other.bytes;
    seconds -= other.seconds;
    first_byte -= other.first_byte;
    whole -= other.whole;
    return *this;
  }
};

}  // namespace pomona
