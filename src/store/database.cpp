#include "store/database.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <unordered_map>

#include "sys/file.hpp"

namespace coffer::store {

namespace {

const std::string kEmpty;

struct FinalizeStatement {
    void operator()(sqlite3_stmt* statement) const { ::sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, FinalizeStatement>;

struct CloseDatabase {
    void operator()(sqlite3* handle) const { ::sqlite3_close_v2(handle); }
};

Code code_of(int status) {
    switch (status & 0xff) {
        case SQLITE_CONSTRAINT:
            return Code::Conflict;
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
        case SQLITE_FULL:
            return Code::Unavailable;
        default:
            return Code::Internal;
    }
}

// Room on the disk for what is committed next: on a full one, something can still be removed.
void reserve(const std::string& log) {
    constexpr off_t kRoom = 1U << 20U;
    const auto file = sys::open_file(log, O_RDWR | O_NOFOLLOW);
    // Not every file system can, and one that is full already will not.
    if (file) ::fallocate(file->get(), FALLOC_FL_KEEP_SIZE, 0, kRoom);
}

}  // namespace

std::int64_t Value::integer() const {
    const auto* number = std::get_if<std::int64_t>(&data_);
    return number == nullptr ? 0 : *number;
}

const std::string& Value::text() const {
    const auto* text = std::get_if<std::string>(&data_);
    return text == nullptr ? kEmpty : *text;
}

std::vector<std::string> first_column(const std::vector<Row>& rows) {
    std::vector<std::string> texts;
    texts.reserve(rows.size());
    for (const Row& row : rows) texts.push_back(row.text(0));
    return texts;
}

struct Database::Impl {
    std::mutex mutex;
    std::string path;
    std::unique_ptr<sqlite3, CloseDatabase> handle;
    std::unordered_map<std::string, Statement> statements;  // by their text
    Durability durability = Durability::AtOnce;

    Failure failure(int status, std::string_view what) const {
        return fail(code_of(status), "database '{}': {}: {}", path, what,
                    ::sqlite3_errmsg(handle.get()));
    }

    Result<void> execute_locked(const char* sql) {
        const int status = ::sqlite3_exec(handle.get(), sql, nullptr, nullptr, nullptr);
        if (status != SQLITE_OK) return failure(status, sql);
        return {};
    }

    // Outside of a transaction only.
    Result<void> set_durability_locked(Durability wanted) {
        if (durability == wanted) return {};
        const bool at_once = wanted == Durability::AtOnce;
        TRY(execute_locked(at_once ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL"));
        durability = wanted;
        return {};
    }

    Result<sqlite3_stmt*> prepare_locked(std::string_view sql) {
        const auto known = statements.find(std::string(sql));
        if (known != statements.end()) return known->second.get();
        sqlite3_stmt* raw = nullptr;
        const int status =
            ::sqlite3_prepare_v3(handle.get(), sql.data(), static_cast<int>(sql.size()),
                                 SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
        if (status != SQLITE_OK) return failure(status, sql);
        return statements.emplace(std::string(sql), Statement(raw)).first->second.get();
    }

    Result<void> bind_locked(sqlite3_stmt* statement, std::string_view sql, Parameters parameters) {
        if (::sqlite3_bind_parameter_count(statement) != static_cast<int>(parameters.size())) {
            return fail(Code::Internal, "database: {} parameters for '{}'", parameters.size(), sql);
        }
        int index = 0;
        for (const Value& value : parameters) {
            ++index;
            int status = SQLITE_OK;
            if (value.is_null()) {
                status = ::sqlite3_bind_null(statement, index);
            } else if (value.is_text()) {
                // Parameters outlive the statement's run.
                status = ::sqlite3_bind_text64(statement, index, value.text().data(),
                                               value.text().size(), SQLITE_STATIC, SQLITE_UTF8);
            } else {
                status = ::sqlite3_bind_int64(statement, index, value.integer());
            }
            if (status != SQLITE_OK) return failure(status, sql);
        }
        return {};
    }

    static Row row_of(sqlite3_stmt* statement) {
        std::vector<Value> columns;
        const int count = ::sqlite3_column_count(statement);
        columns.reserve(static_cast<std::size_t>(count));
        for (int i = 0; i < count; ++i) {
            switch (::sqlite3_column_type(statement, i)) {
                case SQLITE_NULL:
                    columns.emplace_back(nullptr);
                    break;
                case SQLITE_INTEGER:
                    columns.emplace_back(std::int64_t{::sqlite3_column_int64(statement, i)});
                    break;
                default: {
                    const auto* bytes =
                        static_cast<const char*>(::sqlite3_column_blob(statement, i));
                    const auto size =
                        static_cast<std::size_t>(::sqlite3_column_bytes(statement, i));
                    columns.emplace_back(bytes == nullptr ? std::string()
                                                          : std::string(bytes, size));
                }
            }
        }
        return Row(std::move(columns));
    }

    Result<std::vector<Row>> query_locked(std::string_view sql, Parameters parameters) {
        sqlite3_stmt* statement = TRY(prepare_locked(sql));
        const auto collect = [&]() -> Result<std::vector<Row>> {
            TRY(bind_locked(statement, sql, parameters));
            std::vector<Row> rows;
            for (;;) {
                const int status = ::sqlite3_step(statement);
                if (status == SQLITE_DONE) return rows;
                if (status != SQLITE_ROW) return failure(status, sql);
                rows.push_back(row_of(statement));
            }
        };
        auto rows = collect();
        ::sqlite3_reset(statement);
        ::sqlite3_clear_bindings(statement);
        return rows;
    }

    Result<std::int64_t> run_locked(std::string_view sql, Parameters parameters) {
        const auto rows = TRY(query_locked(sql, parameters));
        if (!rows.empty()) return fail(Code::Internal, "database: rows from '{}'", sql);
        return std::int64_t{::sqlite3_changes64(handle.get())};
    }
};

Database::Database(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Database::~Database() = default;

Result<std::unique_ptr<Database>> Database::open(const std::string& path) {
    auto impl = std::make_unique<Impl>();
    impl->path = path;
    sqlite3* raw = nullptr;
    int status = ::sqlite3_open_v2(path.c_str(), &raw,
                                   SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                                   nullptr);
    impl->handle.reset(raw);
    if (status != SQLITE_OK) return impl->failure(status, "open");
    ::chmod(path.c_str(), 0600);
    ::sqlite3_extended_result_codes(raw, 1);
    ::sqlite3_busy_timeout(raw, 5000);
    TRY(impl->execute_locked("PRAGMA journal_mode=WAL"));
    TRY(impl->execute_locked("PRAGMA synchronous=FULL"));
    TRY(impl->execute_locked("PRAGMA foreign_keys=ON"));
    TRY(impl->execute_locked("PRAGMA trusted_schema=OFF"));
    // The whole database is a few MiB; a check takes milliseconds.
    const auto check = TRY(impl->query_locked("PRAGMA quick_check(1)", {}));
    if (check.empty() || check[0].text(0) != "ok") {
        return fail(Code::Internal, "database '{}' is damaged: {}", path,
                    check.empty() ? "no answer" : check[0].text(0));
    }
    TRY(
        impl->execute_locked("CREATE TABLE IF NOT EXISTS schema_versions ("
                             "area TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID"));
    reserve(path + "-wal");
    return std::unique_ptr<Database>(new Database(std::move(impl)));
}

Result<void> Database::migrate(std::string_view area, std::span<const std::string_view> steps) {
    Transaction tx = TRY(begin());
    const auto row = TRY(tx.first("SELECT version FROM schema_versions WHERE area = ?", {area}));
    const auto version = row ? static_cast<std::size_t>(row->integer(0)) : 0;
    if (version == steps.size()) return {};
    if (version > steps.size()) {
        return fail(Code::Conflict,
                    "database '{}' was written by a newer version: {} is at {}, not {}",
                    impl_->path, area, version, steps.size());
    }
    for (const std::string_view step : steps.subspan(version)) {
        TRY_CONTEXT(impl_->execute_locked(std::string(step).c_str()), "migrate {}", area);
    }
    TRY(
        tx.run("INSERT INTO schema_versions (area, version) VALUES (?, ?) "
               "ON CONFLICT (area) DO UPDATE SET version = excluded.version",
               {area, std::uint64_t{steps.size()}}));
    return tx.commit();
}

Result<Transaction> Database::begin(Durability durability) {
    std::unique_lock lock(impl_->mutex);
    TRY(impl_->set_durability_locked(durability));
    TRY(impl_->run_locked("BEGIN IMMEDIATE", {}));
    return Transaction(*this, std::move(lock));
}

Result<std::int64_t> Database::run(std::string_view sql, Parameters parameters,
                                   Durability durability) {
    const std::scoped_lock lock(impl_->mutex);
    TRY(impl_->set_durability_locked(durability));
    return impl_->run_locked(sql, parameters);
}

Result<std::vector<Row>> Database::query(std::string_view sql, Parameters parameters) {
    const std::scoped_lock lock(impl_->mutex);
    return impl_->query_locked(sql, parameters);
}

Result<std::optional<Row>> Database::first(std::string_view sql, Parameters parameters) {
    auto rows = TRY(query(sql, parameters));
    if (rows.empty()) return std::optional<Row>();
    return std::optional<Row>(std::move(rows.front()));
}

Transaction::Transaction(Database& database, std::unique_lock<std::mutex> lock)
    : database_(&database), lock_(std::move(lock)) {}

Transaction::Transaction(Transaction&& other) noexcept
    : database_(std::exchange(other.database_, nullptr)), lock_(std::move(other.lock_)) {}

Transaction::~Transaction() {
    if (database_ != nullptr) {
        ignore(database_->impl_->run_locked("ROLLBACK", {}),
               "an error may have rolled the transaction back already");
    }
}

Result<std::int64_t> Transaction::run(std::string_view sql, Parameters parameters) {
    return database_->impl_->run_locked(sql, parameters);
}

Result<std::vector<Row>> Transaction::query(std::string_view sql, Parameters parameters) {
    return database_->impl_->query_locked(sql, parameters);
}

Result<std::optional<Row>> Transaction::first(std::string_view sql, Parameters parameters) {
    auto rows = TRY(query(sql, parameters));
    if (rows.empty()) return std::optional<Row>();
    return std::optional<Row>(std::move(rows.front()));
}

// A commit that fails leaves the transaction open, and the destructor rolls it back.
Result<void> Transaction::commit() {
    TRY(database_->impl_->run_locked("COMMIT", {}));
    database_ = nullptr;
    lock_.unlock();
    return {};
}

}  // namespace coffer::store
