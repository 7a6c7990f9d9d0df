#pragma once
// What the two back ends of sys/cgroup.hpp have in common; nobody else includes this. A Backend
// belongs to one thread.

#include <string>
#include <vector>

#include "sys/cgroup.hpp"

namespace coffer::sys::cgroup {

// One write to a file of the group. The first file that exists is taken, with its own value: some
// are called differently by kernels and I/O schedulers.
struct Setting {
    struct Choice {
        std::string file;
        std::string value;
    };
    std::string controller;
    std::vector<Choice> choices;
    bool lifts = false;  // only lifts a limit: without the controller there is nothing to lift
};
// What a file held before it was written.
struct Before {
    std::string file;
    std::string value;
};
// Adds what was there to `before`.
Result<void> write_setting(const std::string& folder, const Setting& setting,
                           std::vector<Before>& before);

class Backend {
  public:
    Backend() = default;
    virtual ~Backend() = default;
    Backend(const Backend&) = delete;
    Backend& operator=(const Backend&) = delete;
    Backend(Backend&&) = delete;
    Backend& operator=(Backend&&) = delete;

    virtual Result<void> make(int inhabitant) = 0;
    virtual bool present() const = 0;
    virtual Result<void> apply(const Limits& limits) = 0;
    // Takes back what an apply() that failed has written, but for lists (devices, I/O limits).
    void restore();
    virtual Result<void> set_frozen(bool frozen) = 0;
    virtual Result<bool> is_frozen() const = 0;
    virtual Result<void> kill_all() = 0;
    virtual Result<Stats> stats(Detail detail) const = 0;
    virtual Result<std::uint64_t> oom_kills() const = 0;
    virtual Result<Fd> oom_events() const = 0;
    virtual Result<Fd> clone_fd() const = 0;
    virtual Result<void> join_self() const = 0;
    // The folders of the group, one a hierarchy; processes are read from the first.
    virtual const std::vector<std::string>& folders() const = 0;

  protected:
    std::vector<Before> before_;  // of the last apply()
};

std::unique_ptr<Backend> make_v1(const Layout& layout, const std::string& path);
std::unique_ptr<Backend> make_v2(const Layout& layout, const std::string& path);

// Makes a folder and those above it, for all to enter.
enum class Made : std::uint8_t { New, Existed };
Result<Made> make_folder(const std::string& folder);
// The same for the group itself: an existing one without processes but `inhabitant` is taken over.
Result<void> make_leaf(const std::string& folder, int inhabitant);
// Processes of a folder and of those below it.
Result<std::vector<int>> collect_pids(const std::string& folder);
Result<void> signal_pids(const std::vector<int>& pids, int number);
// "key value" lines.
std::vector<std::pair<std::string, std::uint64_t>> parse_flat(std::string_view text);
std::uint64_t find_flat(const std::vector<std::pair<std::string, std::uint64_t>>& rows,
                        std::string_view key);
// A number in a file; "max" is `none`; an absent file is `absent`.
Result<std::uint64_t> read_number(const std::string& file, std::uint64_t none,
                                  std::uint64_t absent);
// PREFIX.usage_in_bytes and its companions; zeros where they are absent.
Result<Stats::Counter> read_counter(const std::string& folder, const std::string& prefix);
// The cpuset files of a folder that exist.
Result<void> read_cpuset(const std::string& folder, Stats& stats);
// Sizes that the machine has pages of, as cgroup files name them: "2MB".
std::vector<std::string> huge_page_sizes();
// The text of a file; empty when it is absent.
Result<std::string> read_optional(const std::string& file);

}  // namespace coffer::sys::cgroup
