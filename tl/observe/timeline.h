// --trace FILE: a timeline for Perfetto or chrome://tracing. What host threads are at (record, plan, submit,
// wait) and the commands of every stream of the device, with op, shapes and source line.
#pragma once

#include <mutex>
#include <unordered_map>

#include "tl/device/stream.h"
#include "tl/diag/source.h"
#include "tl/exec/observer.h"
#include "tl/io/atomic_file.h"

namespace tl {

class Timeline : public CommandObserver, public ExecObserver {
 public:
  static Result<std::unique_ptr<Timeline>> create(const std::string& path, const SourceFiles& files);
  void ran(const Batch& batch, size_t command, StreamId stream, i64 begin_ns, i64 end_ns,
           i64 busy_ns) override;
  void was_in(HostPhase phase, i64 begin_ns, i64 end_ns) override;
  void traced_again(Span function, Span where, std::string_view why) override;
  // The file appears. The last call.
  Result<void> finish();

 private:
  Timeline(AtomicFile file, const SourceFiles& files);
  void event(std::string text);  // with the mutex held
  void name_track(int process, u64 track, const std::string& name);
  u64 host_track();
  // Commands of a stream that overlap lie on tracks of their own: slices of one track must not cross.
  u64 stream_track(StreamId stream, i64 begin_ns, i64 end_ns);
  double micros(i64 ns) const { return static_cast<double>(ns - start_ns_) * 1e-3; }

  const SourceFiles& files_;
  const i64 start_ns_;
  std::mutex mutex_;
  AtomicFile file_;
  Result<void> written_;
  bool is_first_ = true, is_finished_ = false;
  std::unordered_map<u64, u64> host_tracks_;             // by thread
  std::unordered_map<u32, std::vector<i64>> lane_ends_;  // of each stream
};

}  // namespace tl
