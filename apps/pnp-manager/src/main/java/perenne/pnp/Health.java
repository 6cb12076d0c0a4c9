package perenne.pnp;

import jakarta.annotation.Resource;
import jakarta.enterprise.concurrent.ManagedExecutorService;
import jakarta.enterprise.context.ApplicationScoped;
import jakarta.inject.Inject;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import perenne.pnp.store.Database;

/**
 * Whether the database answers, known within {@link #LIMIT} whatever the database does.
 *
 * <p>A server that is frozen goes on acknowledging TCP, so the question is asked by another thread and given up. A thread that
 * was given up is freed by the driver's own socket timeout; until then it counts against {@link #QUESTIONS}.
 */
@ApplicationScoped
public class Health {

    static final Duration LIMIT = Duration.ofSeconds(1);

    private static final int QUESTIONS = 4;

    /**
     * What was found.
     *
     * @param server address of the database server that answered; "local socket" without one
     * @param writable false when it is a standby
     * @param problem why the database is down; null when it is up
     */
    public record Status(String server, boolean writable, String problem, long askedNanos) {

        public boolean up() {
            return problem == null && writable;
        }

        private static Status down(String problem) {
            return new Status(null, false, problem, System.nanoTime());
        }
    }

    @Inject
    private Database database;

    @Resource
    private ManagedExecutorService threads;

    private final Semaphore questions = new Semaphore(QUESTIONS);
    private volatile Status latest;

    /** Asks now. */
    public Status check() {
        latest = ask();
        return latest;
    }

    /** What was found not more than 2 s ago, or else asks: for page footers. */
    public Status recent() {
        Status known = latest;
        boolean fresh = known != null && System.nanoTime() - known.askedNanos() < TimeUnit.SECONDS.toNanos(2);
        return fresh ? known : check();
    }

    private Status ask() {
        if (!questions.tryAcquire()) {
            return Status.down("earlier questions are still without an answer");
        }
        Future<Status> answer;
        try {
            answer = threads.submit(this::queryAndRelease);
        } catch (RejectedExecutionException busy) {
            questions.release();
            return Status.down("no thread is free to ask");
        }
        try {
            return answer.get(LIMIT.toMillis(), TimeUnit.MILLISECONDS);
        } catch (TimeoutException silent) {
            return Status.down("no answer within " + LIMIT.toSeconds() + " s");
        } catch (ExecutionException failed) {
            return Status.down(reason(failed.getCause()));
        } catch (InterruptedException shutdown) {
            Thread.currentThread().interrupt();
            return Status.down("the server is shutting down");
        }
    }

    private Status queryAndRelease() throws SQLException {
        try {
            return database.once(Health::query);
        } finally {
            questions.release();
        }
    }

    private static Status query(Connection connection, boolean again) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.setQueryTimeout((int) LIMIT.toSeconds());
            try (ResultSet row = statement.executeQuery(
                    "SELECT coalesce(host(inet_server_addr()), 'local socket'), pg_is_in_recovery()")) {
                row.next();
                boolean writable = !row.getBoolean(2);
                return new Status(row.getString(1), writable, writable ? null : "it is read-only", System.nanoTime());
            }
        }
    }

    /** Says what kind of failure it was, but not the driver's message: that names addresses and roles. */
    private static String reason(Throwable failure) {
        return failure instanceof SQLException sql && sql.getSQLState() != null
                ? "it answered with SQLSTATE " + sql.getSQLState()
                : "no connection";
    }
}
