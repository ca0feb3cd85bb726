// --profile: where the time of a run goes, per op and per source line. The times of a table add up to the
// time in which the device was busy: commands that run side by side share it in proportion to the work of
// their threads.
#pragma once

#include <map>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "tl/device/device.h"
#include "tl/diag/source.h"
#include "tl/exec/observer.h"

namespace tl {

// Arithmetic and traffic of one command.
Cost cost_of(const Batch& batch, const Command& command);

class Profile : public CommandObserver, public ExecObserver {
 public:
  // Measures the device's peaks, then starts the clock.
  Profile(const Device& device, const SourceFiles& files);
  void ran(const Batch& batch, size_t command, StreamId stream, i64 begin_ns, i64 end_ns,
           i64 busy_ns) override;
  void was_in(HostPhase phase, i64 begin_ns, i64 end_ns) override;

  struct Line {
    i64 calls = 0;
    double ns = 0;  // share of the time in which the device was busy
    double flops = 0;
    double bytes = 0;
    void add(const Line& other);
  };
  struct Totals {
    double wall_ns = 0, busy_ns = 0;
    double host_ns[4] = {};  // by HostPhase
    std::map<std::string, Line> ops, lines;
  };
  // Up to now.
  Totals totals();
  std::string text();

 private:
  struct Key {
    const OpDef* op;
    Span origin;
    bool operator==(const Key&) const = default;
  };
  struct Hash {
    size_t operator()(const Key& key) const;
  };
  // Commands whose times overlap: together they take the time from the first begin to the last end.
  struct Pending {
    Line* line;
    double busy_ns;
  };
  void close_cluster();

  const SourceFiles& files_;
  const Peaks peaks_;
  const int threads_;
  i64 start_ns_ = 0;

  std::mutex mutex_;
  std::unordered_map<Key, Line, Hash> table_;
  std::vector<Pending> cluster_;
  i64 cluster_begin_ = 0, cluster_end_ = 0;
  double busy_ns_ = 0;
  double host_ns_[4] = {};
};

}  // namespace tl
