#pragma once

#include <cstdint>

namespace pomona {

// What a storage that is not this machine was asked for.
struct TransferCounts {
  int64_t listings = 0;  // requests that listed files; repeated ones are not in it
  int64_t requests = 0;  // of files' content; repeated ones count again
  int64_t retries = 0;   // requests of any kind that were repeated
  int64_t bytes = 0;
  double seconds = 0;  // spent in requests, summed over those that ran at once

  TransferCounts& operator+=(const TransferCounts& other) {
    listings += other.listings;
    requests += other.requests;
    retries += other.retries;
    bytes += other.bytes;
    seconds += other.seconds;
    return *this;
  }
  TransferCounts& operator-=(const TransferCounts& other) {
    listings -= other.listings;
    requests -= other.requests;
    retries -= other.retries;
    bytes -= other.bytes;
    seconds -= other.seconds;
    return *this;
  }
};

}  // namespace pomona
