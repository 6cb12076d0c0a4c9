package perenne.pnp.store;

import jakarta.enterprise.context.ApplicationScoped;
import jakarta.inject.Inject;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import javax.sql.DataSource;

/**
 * The application's database: short transactions that outlive a change of the primary.
 *
 * <p>A transaction that fails because the connection broke, or because its server has become read-only, is run again until
 * {@link #PATIENCE} is over. Its commit may have reached the disk all the same, so every transaction given to {@link #run}
 * must be idempotent.
 */
@ApplicationScoped
public class Database {

    /** How long a request waits for a primary: longer than one may stand still (5 s), and than fencing takes to replace one. */
    static final Duration PATIENCE = Duration.ofSeconds(8);

    private static final Duration PAUSE = Duration.ofMillis(100);

    /** PostgreSQL manual, appendix A: read-only transaction, serialization failure, deadlock, too many connections, shutdowns. */
    private static final Set<String> PASSING_STATES = Set.of("25006", "40001", "40P01", "53300", "57P01", "57P02", "57P03");

    /** The table is missing: someone has put an empty database in place of the one that was migrated. */
    private static final String UNDEFINED_TABLE = "42P01";

    private final DataSource pool;
    private final Turnstile turnstile;
    private final Schema schema;

    @Inject
    public Database(DataSource pool, Schema schema) {
        this.pool = pool;
        this.turnstile = new Turnstile(pool);
        this.schema = schema;
    }

    /** For the container's proxy. */
    protected Database() {
        this(null, null);
    }

    /** The statements of one transaction. */
    @FunctionalInterface
    public interface Transaction<T> {
        /**
         * @param again true when an earlier try failed, and may have been committed
         */
        T run(Connection connection, boolean again) throws SQLException;
    }

    /**
     * Runs an idempotent transaction, again if the connection breaks.
     *
     * @return the transaction's result, after its commit
     * @throws DatabaseUnavailable when there was no answer within {@link #PATIENCE}
     */
    public <T> T run(Transaction<T> transaction) {
        long deadline = System.nanoTime() + PATIENCE.toNanos();
        for (boolean again = false; ; again = true) {
            try (Connection connection = turnstile.connection(deadline)) {
                return on(connection, transaction, again);
            } catch (SQLException failure) {
                if (!passes(failure)) {
                    throw new IllegalStateException("the database refused a statement", failure);
                }
                if (System.nanoTime() + PAUSE.toNanos() > deadline) {
                    throw new DatabaseUnavailable(failure);
                }
                pause(failure);
            }
        }
    }

    /** Runs a transaction once, migrating the schema first if nobody has. */
    public <T> T once(Transaction<T> transaction) throws SQLException {
        try (Connection connection = pool.getConnection()) {
            return on(connection, transaction, false);
        }
    }

    private <T> T on(Connection connection, Transaction<T> transaction, boolean again) throws SQLException {
        try {
            connection.setAutoCommit(false);
            schema.ensure(connection);
            T result = transaction.run(connection, again);
            connection.commit();
            return result;
        } catch (SQLException | RuntimeException failure) {
            rollBack(connection, failure);
            if (failure instanceof SQLException sql && UNDEFINED_TABLE.equals(sql.getSQLState())) {
                schema.forget();
            }
            throw failure;
        }
    }

    /** True when the same transaction may succeed on another connection. */
    static boolean passes(SQLException failure) {
        for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
            if (cause instanceof SQLException sql && passes(sql.getSQLState())) {
                return true;
            }
        }
        return false;
    }

    private static boolean passes(String state) {
        // Without a state it comes from the pool, which could not open a connection.
        return state == null || state.startsWith("08") || PASSING_STATES.contains(state) || UNDEFINED_TABLE.equals(state);
    }

    private static void rollBack(Connection connection, Exception failure) {
        try {
            connection.rollback();
        } catch (SQLException broken) {
            failure.addSuppressed(broken);
        }
    }

    private static void pause(SQLException failure) {
        try {
            TimeUnit.NANOSECONDS.sleep(PAUSE.toNanos());
        } catch (InterruptedException shutdown) {
            Thread.currentThread().interrupt();
            throw new DatabaseUnavailable(failure);
        }
    }
}
