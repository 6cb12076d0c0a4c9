package perenne.pnp.store;

import jakarta.annotation.Resource;
import jakarta.enterprise.context.Dependent;
import jakarta.enterprise.inject.Produces;
import javax.sql.DataSource;

/** What the platform provides: the datasource of the service that is called pnp-manager. */
@Dependent
public class Resources {

    @Produces
    @Resource(lookup = "java:jboss/datasources/pnp-manager")
    private DataSource pool;
}
