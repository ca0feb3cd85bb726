#include "tl/tensor/attrs.h"

namespace tl {

const std::vector<i64>& Attrs::ints() const {
  static const std::vector<i64> none;
  return extra_ ? extra_->ints : none;
}

const std::string& Attrs::text() const {
  static const std::string none;
  return extra_ ? extra_->text : none;
}

}  // namespace tl
