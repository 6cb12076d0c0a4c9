package perenne.pnp.store;

import java.sql.Connection;
import java.sql.SQLException;
import java.sql.SQLTransientConnectionException;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import javax.sql.DataSource;

/**
 * Where requests get their connections. While the database is away, they wait here, and only one at a time looks whether it is
 * back: a crowd that connects again and again takes the time of the very servers that are changing the primary (drill
 * kill-postgres: half a second of the outage).
 */
final class Turnstile {

    /** Between two looks. */
    private static final Duration PAUSE = Duration.ofMillis(50);

    private final DataSource pool;
    private final ReentrantLock turn = new ReentrantLock();
    private volatile boolean closed;

    Turnstile(DataSource pool) {
        this.pool = pool;
    }

    /** True while only one at a time may look. */
    boolean isClosed() {
        return closed;
    }

    /**
     * Returns a connection.
     *
     * @param deadline when to give up waiting for one's turn, as {@link System#nanoTime} counts
     * @throws SQLException when there is none
     */
    Connection connection(long deadline) throws SQLException {
        if (closed) {
            await(deadline);
            try {
                if (closed) {
                    return look();
                }
            } finally {
                turn.unlock();
            }
        }
        return open();
    }

    private void await(long deadline) throws SQLException {
        try {
            if (turn.tryLock(deadline - System.nanoTime(), TimeUnit.NANOSECONDS)) {
                return;
            }
        } catch (InterruptedException shutdown) {
            Thread.currentThread().interrupt();
        }
        throw new SQLTransientConnectionException("others wait for the database, too");
    }

    /** Opens a connection; if there is none, nobody else tries for a moment. */
    private Connection look() throws SQLException {
        try {
            return open();
        } catch (SQLException failure) {
            try {
                TimeUnit.NANOSECONDS.sleep(PAUSE.toNanos());
            } catch (InterruptedException shutdown) {
                Thread.currentThread().interrupt();
            }
            throw failure;
        }
    }

    private Connection open() throws SQLException {
        try {
            Connection connection = pool.getConnection();
            closed = false;
            return connection;
        } catch (SQLException failure) {
            closed |= refused(failure);
            throw failure;
        }
    }

    /** True when it was a server that gave no connection: "connection exception" (08) or "cannot connect now" (57P03). */
    private static boolean refused(SQLException failure) {
        for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
            // A pool whose connections are all in use has no state to tell: that queue is its own.
            if (cause instanceof SQLException sql && sql.getSQLState() != null) {
                return sql.getSQLState().startsWith("08") || "57P03".equals(sql.getSQLState());
            }
        }
        return false;
    }
}
