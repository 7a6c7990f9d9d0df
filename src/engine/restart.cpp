#include "engine/restart.hpp"

#include <algorithm>

namespace coffer::engine {

namespace {

constexpr std::chrono::milliseconds kFirstWait(100);
constexpr std::chrono::milliseconds kLongestWait = std::chrono::minutes(1);
constexpr std::chrono::seconds kLongRun(10);

}  // namespace

Result<void> check_restart_policy(const api::HostConfig& host) {
    const api::RestartPolicy& policy = host.restart_policy;
    const bool is_on_failure = policy.name == "on-failure";
    const bool is_plain =
        policy.name == "no" || policy.name == "always" || policy.name == "unless-stopped";
    if (!policy.name.empty() && !is_on_failure && !is_plain) {
        return fail(Code::InvalidArgument,
                    "invalid restart policy: unknown policy '{}'; use one of 'no', 'always', "
                    "'on-failure', or 'unless-stopped'",
                    policy.name);
    }
    if (is_plain && policy.maximum_retry_count != 0) {
        return fail(Code::InvalidArgument,
                    "invalid restart policy: maximum retry count can only be used with "
                    "'on-failure'{}",
                    policy.maximum_retry_count < 0 ? " and cannot be negative" : "");
    }
    if (is_on_failure && policy.maximum_retry_count < 0) {
        return fail(Code::InvalidArgument,
                    "invalid restart policy: maximum retry count cannot be negative");
    }
    if (host.auto_remove && (is_on_failure || (is_plain && policy.name != "no"))) {
        return fail(Code::InvalidArgument,
                    "can't create 'AutoRemove' container with restart policy");
    }
    return {};
}

bool wants_restart(const api::RestartPolicy& policy, int exit_code, bool stopped,
                   int restart_count) {
    if (stopped) return false;
    if (policy.name == "always" || policy.name == "unless-stopped") return true;
    return policy.name == "on-failure" && exit_code != 0 &&
           (policy.maximum_retry_count == 0 || restart_count < policy.maximum_retry_count);
}

bool wants_start_at_boot(const api::RestartPolicy& policy, int exit_code, bool stopped,
                         int restart_count) {
    return wants_restart(policy, exit_code, stopped && policy.name != "always", restart_count);
}

std::chrono::milliseconds RestartBackoff::next(std::chrono::nanoseconds ran) {
    if (ran >= kLongRun) last_ = {};
    last_ = std::clamp(2 * last_, kFirstWait, kLongestWait);
    return last_;
}

}  // namespace coffer::engine
