#pragma once

#include "io/base/error.hpp"

namespace stylescope {

// Throws UsageError unless `ok`, for what a configuration's ranges alone cannot say:
// require(a < b, "tile.a: ", a, " is not below b; lower it").
template <class... Parts>
void require(bool ok, const Parts&... parts) {
  if (!ok) throw UsageError(detail::concatenate(parts...));
}

}  // namespace stylescope
