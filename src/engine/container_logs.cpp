// Reading a container's log, and the limits of its file.

#include "base/log.hpp"
#include "engine/containers_impl.hpp"
#include "engine/logging.hpp"

namespace coffer::engine {

Result<bool> Containers::prepare_logs(const std::string& name) const {
    const auto record = TRY(impl_->find(name))->record();
    TRY(log_place(*record, impl_->folder(*record)));
    return record->config.tty;
}

Result<void> Containers::read_logs(const std::string& name, const LogOptions& options,
                                   const Cancel& interrupted,
                                   const std::function<bool(const logger::Record&)>& each) const {
    const auto container = TRY(impl_->find(name));
    const auto record = container->record();
    const logs::Place place = TRY(log_place(*record, impl_->folder(*record)));
    // Held while we read, so that its descriptor stays open.
    const auto ended = container->run_ended();
    logger::ReadOptions read = options.read;
    read.want_stdout = options.stdout_wanted;
    read.want_stderr = options.stderr_wanted;
    if (!record->is_running()) read.follow = false;
    read.stopped_fd = ended->fd();
    read.cancel_fd = interrupted.fd();
    read.attributes = log_attributes(*record);
    return logger::read(place, read, each);
}

Result<void> Containers::set_log_limits(const std::string& name,
                                        const std::map<std::string, std::string>& options) {
    const auto container = TRY(impl_->find(name));
    Container::Claim claim(container);
    Record record = claim.copy();
    api::LogConfig& config = record.host_config.log_config;
    for (const auto& [option, value] : options) {
        const std::string prefix =
            config.type == "json-file" || config.type == "local" ? "" : "cache-";
        if (option != prefix + "max-size" && option != prefix + "max-file") {
            return fail(Code::InvalidArgument,
                        "log opt '{}' of driver {} cannot be changed once the container is made",
                        option, config.type);
        }
        config.config[option] = value;
    }
    TRY(logs::check_options(config.type, config.config));
    const logs::FileLimits limits = TRY(logs::file_limits(config.type, config.config));
    TRY(impl_->save(claim, record));
    const auto link = container->link();
    if (!link) return {};
    return link->post(shim::LogLimits{limits.max_size, limits.max_files});
}

}  // namespace coffer::engine
