package perenne.pnp.web;

import jakarta.servlet.annotation.WebServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;

/** The application's root leads to the list. */
@WebServlet("")
public class HomeServlet extends PageServlet {

    private static final long serialVersionUID = 1;

    @Override
    protected void doGet(HttpServletRequest request, HttpServletResponse response) {
        seeOther(request, response, "/people");
    }
}
